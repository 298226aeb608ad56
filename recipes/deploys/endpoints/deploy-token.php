<?php
// PHP: deploy-token.php, served at /about/deploy
//
// PHP reads its code for every request, and a TOKEN read here would prove nothing. The pool reads the token when FPM starts or reloads, as
// php-fpm-pool.conf has it; a reload also empties the cache of compiled code. With opcache.validate_timestamps=0 that reload is what makes the
// new code run, and the token tells of it.
header('Content-Type: text/plain');
header('Cache-Control: no-store');
echo getenv('DEPLOY_TOKEN') ?: 'none';
